"""Files: tables, pictures, ratings, fitted models."""
