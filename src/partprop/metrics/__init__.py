"""The measures of DAVIS (region similarity J, contour accuracy F), of OTB (boxes), and their summary."""
