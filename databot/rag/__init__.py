"""Retrieval: documents in, cited passages out."""
