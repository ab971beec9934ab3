"""Models in parts: an encoder and a decoder, or one model whose state goes out and comes in again."""
