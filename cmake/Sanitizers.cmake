if(HOLDFAST_SANITIZE)
  add_compile_options(-fsanitize=${HOLDFAST_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${HOLDFAST_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 sees uninitialised reads in its own instrumentation
    add_compile_options(-Wno-maybe-uninitialized)
    # it warns of Asio's fences, which tsan does not see; what they order is under locks too
    if(HOLDFAST_SANITIZE STREQUAL thread)
      add_compile_options(-Wno-tsan)
    endif()
  endif()
endif()
