add_compile_options(-Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
                    -Wold-style-cast -Wimplicit-fallthrough
                    -Wno-missing-field-initializers) # designated initialisers leave defaults out on purpose
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wduplicated-cond)
else()
  # our own mutex wrapper carries clang's annotations
  add_compile_options(-Wthread-safety)
endif()
