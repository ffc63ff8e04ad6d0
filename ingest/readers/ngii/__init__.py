"""The reader of the Korean precise road map (정밀도로지도): whole deliveries, their products, and what refers to what."""
