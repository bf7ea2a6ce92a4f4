"""The methods' mathematics, one file each. Imports torch, never verl, ray or vllm."""
