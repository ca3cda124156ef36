"""The nouns: values every room shares. Standard library only."""
