"""What the page does: a module for each kind of thing that a visitor can do."""
