# Compiler flags of the core and of its bindings, as the interface library ilo_flags.

option(ILO_FAST_WERROR "Treat warnings as errors" OFF)

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "MSVC")
  message(FATAL_ERROR "The Visual C++ compiler lacks the vector types that the core uses. Use clang-cl, which "
                      "comes with Visual Studio: -T ClangCL, or -G Ninja -DCMAKE_CXX_COMPILER=clang-cl")
endif()
if(MINGW AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  message(FATAL_ERROR "GCC for Windows does not align the stack for AVX (its bug 54412). Use clang-cl")
endif()
if(APPLE AND CMAKE_OSX_DEPLOYMENT_TARGET AND CMAKE_OSX_DEPLOYMENT_TARGET VERSION_LESS 10.15)
  message(FATAL_ERROR "macOS ${CMAKE_OSX_DEPLOYMENT_TARGET} lacks aligned allocation, which C++17 asks for. "
                      "Set MACOSX_DEPLOYMENT_TARGET=10.15 or later in the environment")
endif()

add_library(ilo_flags INTERFACE)
# -O3 for the plain loops of rows.inl; no contraction and no reassociation: the float64 definition of a
# distance has to give the same bits on every instruction set.
if(MSVC)  # clang-cl, which hands on what stands after /clang:
  set(ilo_cxx_flags /clang:-O3 /clang:-ffp-contract=off /clang:-fno-fast-math /W4)
  if(ILO_FAST_WERROR)
    list(APPEND ilo_cxx_flags /WX)
  endif()
  target_compile_definitions(ilo_flags INTERFACE NOMINMAX _CRT_SECURE_NO_WARNINGS _CRT_NONSTDC_NO_WARNINGS)
else()
  set(ilo_cxx_flags -O3 -ffp-contract=off -fno-fast-math -Wall -Wextra)
  if(ILO_FAST_WERROR)
    list(APPEND ilo_cxx_flags -Werror)
  endif()
endif()
target_compile_options(ilo_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${ilo_cxx_flags}>")

if(ILO_CUDA)
  list(TRANSFORM ilo_cxx_flags PREPEND -Xcompiler= OUTPUT_VARIABLE ilo_host_flags)
  # 20050 warns of kernels that are inline: ours lie in headers that several files may include.
  set(ilo_cuda_flags --fmad=false --expt-relaxed-constexpr -diag-suppress=20050 ${ilo_host_flags})
  if(ILO_FAST_WERROR)
    list(APPEND ilo_cuda_flags -Werror=all-warnings)
  endif()
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 13)  # a quarter of the size
    list(APPEND ilo_cuda_flags --compress-mode=size)
  endif()
  target_compile_options(ilo_flags INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:${ilo_cuda_flags}>")
endif()
