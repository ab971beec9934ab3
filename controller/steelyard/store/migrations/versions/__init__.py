"""One module a revision, written by hand; never edited once released."""
