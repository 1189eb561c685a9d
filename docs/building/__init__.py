"""Pages of the site that are made from the code when it is built (`make docs`), and how pages link to the code."""
