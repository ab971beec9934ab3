"""The plots of the report as inline SVG: each function draws one plot at one width, and knows nothing of pages."""
