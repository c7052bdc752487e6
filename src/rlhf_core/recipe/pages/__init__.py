"""From run folders to their pages and cards; `report` draws them."""
