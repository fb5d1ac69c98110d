"""How a batch is driven: compiled as one program, by the host, in slots, over devices, in repeats."""
