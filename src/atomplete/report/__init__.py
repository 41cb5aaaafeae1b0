"""Parts of pages: sections, charts, tables, and pairs to turn in 3D."""
