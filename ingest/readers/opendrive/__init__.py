"""OpenDRIVE 1.4 to 1.8: roads as curves in an XML file become lanes, borders, objects and signals on the ground."""
