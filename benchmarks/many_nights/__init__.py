"""Ten years of nights beside one month of them."""
