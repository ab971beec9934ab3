"""Digests of a night to where people read: e-mail, chat, GitHub, GitLab; and what became of each."""
