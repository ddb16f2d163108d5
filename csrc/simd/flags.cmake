# What the kernels of each instruction set are compiled with; nothing else is.
set(avx2 -mavx2 -mfma -mf16c)
set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
set(avx512_bf16 ${avx512} -mavx512bf16)
set(amx_bf16 ${avx512} -mamx-tile -mamx-bf16)
