"""Oncology-significant lymph nodes in PET/CT: candidates by distance stratification, refined by GLNet."""
