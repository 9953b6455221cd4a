"""Finding lymph nodes and correcting them."""
