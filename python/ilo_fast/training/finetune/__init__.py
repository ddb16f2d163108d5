"""Fine-tuning: data ─▶ examples ─▶ heads, lora ─▶ finetune, the public call."""
