"""matcalc: derivatives with respect to matrices, by named rules, every step checked by numbers."""
