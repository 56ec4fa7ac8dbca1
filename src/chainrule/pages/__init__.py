"""Pages: blocks of text, tables and pictures, written as HTML, Markdown or SVG."""
