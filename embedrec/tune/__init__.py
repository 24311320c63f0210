"""Tuning: settings looked for at random or by a tree of Parzen estimators, on a validation part."""
