"""The web pages at ``/``: live pictures, counts, cameras, review, models, health."""
