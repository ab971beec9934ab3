"""The document of a night as people and their tools read it: HTML, Markdown, JUnit, JSON, a terminal."""
