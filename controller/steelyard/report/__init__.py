"""How results look: terminal tables, the HTML report, plain documents, raw samples. Messages in, text out."""
