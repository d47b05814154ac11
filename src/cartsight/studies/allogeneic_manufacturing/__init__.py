"""Study 1B: iPSC- against donor-derived cells, one lot for many sites, and the durability that makes allogeneic equal."""
