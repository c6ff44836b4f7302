# `make install`: bin/heddle, lib/heddle (Arrow's libraries when they come from the pyarrow wheel), share/heddle (examples).
# The installed tree needs nothing of the build folder: RPATH is $ORIGIN/../lib/heddle.
set_target_properties(heddle PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin
                      INSTALL_RPATH "$ORIGIN/../lib/heddle")
install(TARGETS heddle RUNTIME DESTINATION bin)
if(HEDDLE_PYARROW_DIR)
  file(GLOB libraries ${HEDDLE_PYARROW_DIR}/libarrow.so.[0-9]* ${HEDDLE_PYARROW_DIR}/libparquet.so.[0-9]*)
  install(FILES ${libraries} DESTINATION lib/heddle)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/examples)
  install(DIRECTORY examples DESTINATION share/heddle)
endif()
install(PROGRAMS python/heddle_verify.py DESTINATION share/heddle/python)
install(FILES LICENSE DESTINATION share/doc/heddle)
