"""Whether picks sit on particles: what stands around them in the micrographs, under the ways coordinates go wrong."""
