# `make install`: bin/heddle, lib/heddle (what reads files, and Arrow's libraries when they come
# from the pyarrow wheel), share/heddle (examples, the Python package). The installed tree needs
# nothing of the build folder. scripts/dist.py makes a relocatable tarball and a wheel of it, with
# every other library in lib/heddle too: so it is RPATH, which counts for the libraries of the
# libraries, and not RUNPATH, which does not.
set_target_properties(
  heddle
  PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin INSTALL_RPATH "$ORIGIN/../lib/heddle"
)
target_link_options(heddle PRIVATE -Wl,--disable-new-dtags)
install(TARGETS heddle RUNTIME DESTINATION bin)
install(TARGETS heddle_files LIBRARY DESTINATION lib/heddle)
if(HEDDLE_PYARROW_DIR)
  file(
    GLOB libraries
    ${HEDDLE_PYARROW_DIR}/libarrow.so.[0-9]*
    ${HEDDLE_PYARROW_DIR}/libparquet.so.[0-9]*
  )
  install(FILES ${libraries} DESTINATION lib/heddle)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/examples)
  install(DIRECTORY examples DESTINATION share/heddle PATTERN .heddle EXCLUDE)
endif()
install(DIRECTORY python/heddle DESTINATION share/heddle/python FILES_MATCHING PATTERN "*.py")
install(FILES LICENSE DESTINATION share/doc/heddle)
