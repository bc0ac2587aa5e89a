"""eventlib: event logs you can trust, and the content-ranking signals in them."""
