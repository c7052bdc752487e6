"""What a training or an evaluation will take, told before it begins."""
