# Apache Arrow C++: an installed package first (Apache's Debian packages, conda, vcpkg); else the
# headers and libraries inside the pinned pyarrow wheel of build/venv, as Arrow documents for
# extension modules. Targets: heddle::arrow, heddle::parquet.
find_package(Arrow CONFIG QUIET)
find_package(Parquet CONFIG QUIET)
if(Arrow_FOUND AND Parquet_FOUND)
  add_library(heddle::arrow ALIAS Arrow::arrow_shared)
  add_library(heddle::parquet ALIAS Parquet::parquet_shared)
else()
  set(
    HEDDLE_VENV
    "${CMAKE_SOURCE_DIR}/build/venv"
    CACHE PATH
    "Python environment that holds the pinned pyarrow"
  )
  file(GLOB HEDDLE_PYARROW ${HEDDLE_VENV}/lib/python3*/site-packages/pyarrow)
  if(NOT HEDDLE_PYARROW)
    message(
      FATAL_ERROR
      "Arrow C++ not found: neither an installed package nor pyarrow in ${HEDDLE_VENV}; "
      "run `make deps`"
    )
  endif()
  foreach(lib arrow parquet)
    file(GLOB so ${HEDDLE_PYARROW}/lib${lib}.so.[0-9]*)
    list(GET so 0 so)
    add_library(heddle::${lib} SHARED IMPORTED GLOBAL)
    set_target_properties(
      heddle::${lib}
      PROPERTIES
        IMPORTED_LOCATION ${so}
        INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${HEDDLE_PYARROW}/include
        INTERFACE_INCLUDE_DIRECTORIES ${HEDDLE_PYARROW}/include
    )
  endforeach()
  target_link_libraries(heddle::parquet INTERFACE heddle::arrow)
  set(HEDDLE_PYARROW_DIR ${HEDDLE_PYARROW} CACHE INTERNAL "")
endif()
