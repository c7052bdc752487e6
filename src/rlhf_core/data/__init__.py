"""From sources to rows: readers that know their lines, the shapes of raw rows, the one template, the order of rows."""
