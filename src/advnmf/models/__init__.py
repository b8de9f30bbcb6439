"""Estimators: completion models in scikit-learn's manner."""
