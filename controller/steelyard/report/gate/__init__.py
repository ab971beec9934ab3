"""A gate's report as people and their tools read it: Markdown, JUnit, a terminal."""
