# Whether the engine for GPUs is built: ILO_FAST_CUDA is ON, OFF, or AUTO, which takes a CUDA
# compiler that works together with this host compiler, and does without otherwise. Sets ILO_CUDA.

set(ILO_FAST_CUDA AUTO CACHE STRING "Build the engine for NVIDIA GPUs: AUTO, ON or OFF")
set_property(CACHE ILO_FAST_CUDA PROPERTY STRINGS AUTO ON OFF)
string(TOUPPER "${ILO_FAST_CUDA}" ilo_cuda_wanted)

set(ILO_CUDA FALSE)
set(ilo_cuda_why "ILO_FAST_CUDA=${ILO_FAST_CUDA}")
if(ilo_cuda_wanted STREQUAL "AUTO" AND (APPLE OR WIN32))
  set(ilo_cuda_why "not for this system")
elseif(ilo_cuda_wanted STREQUAL "AUTO" OR ilo_cuda_wanted)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    if(DEFINED ENV{CUDAARCHS})
      set(CMAKE_CUDA_ARCHITECTURES $ENV{CUDAARCHS})
    else()
      # A100; H100, and through its PTX whatever is newer.
      set(CMAKE_CUDA_ARCHITECTURES "80-real;90")
    endif()
  endif()
  if(NOT DEFINED CMAKE_CUDA_HOST_COMPILER AND NOT DEFINED ENV{CUDAHOSTCXX})
    set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  endif()
  # By a CMake of its own: enable_language() and try_compile() stop everything where there is no
  # such compiler.
  if(NOT ILO_CUDA_WORKS)
    string(REPLACE ";" "," ilo_cuda_list "${CMAKE_CUDA_ARCHITECTURES}")
    set(ilo_cuda_flags -DILO_ARCHITECTURES=${ilo_cuda_list})
    foreach(name CMAKE_CUDA_COMPILER CMAKE_CUDA_HOST_COMPILER CMAKE_MAKE_PROGRAM)
      if(${name})
        list(APPEND ilo_cuda_flags -D${name}=${${name}})
      endif()
    endforeach()
    set(ilo_cuda_check ${CMAKE_BINARY_DIR}/cuda_check)
    file(REMOVE_RECURSE ${ilo_cuda_check})
    execute_process(
      COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/check -B ${ilo_cuda_check}
              -G ${CMAKE_GENERATOR} ${ilo_cuda_flags}
      RESULT_VARIABLE ilo_cuda_failed
      OUTPUT_VARIABLE ilo_cuda_output ERROR_VARIABLE ilo_cuda_output)
    if(NOT ilo_cuda_failed)
      execute_process(
        COMMAND ${CMAKE_COMMAND} --build ${ilo_cuda_check}
        RESULT_VARIABLE ilo_cuda_failed
        OUTPUT_VARIABLE ilo_cuda_output ERROR_VARIABLE ilo_cuda_output)
    endif()
    if(NOT ilo_cuda_failed)
      set(ILO_CUDA_WORKS TRUE CACHE INTERNAL "")
    endif()
  endif()
  if(ILO_CUDA_WORKS)
    enable_language(CUDA)
    set(ILO_CUDA TRUE)
    set(ilo_cuda_why "CUDA ${CMAKE_CUDA_COMPILER_VERSION}: ${CMAKE_CUDA_COMPILER}")
  elseif(ilo_cuda_wanted STREQUAL "AUTO")
    set(ilo_cuda_why "no CUDA compiler that works; ILO_FAST_CUDA=ON says what is wrong with it")
  else()
    message(FATAL_ERROR "ILO_FAST_CUDA=${ILO_FAST_CUDA}, but there is no CUDA compiler that works:\n"
                        "${ilo_cuda_output}")
  endif()
endif()

if(ILO_CUDA)
  message(STATUS "Engine for GPUs: yes, for ${CMAKE_CUDA_ARCHITECTURES} (${ilo_cuda_why})")
else()
  message(STATUS "Engine for GPUs: no (${ilo_cuda_why})")
endif()
