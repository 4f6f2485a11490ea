"""Judges, metrics and reports: how good an edit or an inversion is. Users need none of it."""
