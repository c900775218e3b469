"""Figures and the page reports/index.html."""
