"""Values of terms from their definitions, random inputs, derivatives without the rules."""
