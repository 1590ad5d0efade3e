"""How each operation grows from a thousand runs to a million, on both backends."""
