"""Background mortality: period life tables by sex and single year of age, and death times drawn from them."""

from cartsight.evidence.life_tables.life_table import LifeTable
from cartsight.evidence.life_tables.shipped import available_life_tables, life_table

__all__ = ["LifeTable", "available_life_tables", "life_table"]
