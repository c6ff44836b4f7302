# heddle_proto_descriptor(FILE.proto VARIABLE OUT): OUT becomes a source that defines VARIABLE and
# VARIABLESize in namespace heddle::serve, the FileDescriptorSet that protoc makes of FILE.proto.
# Nothing of protobuf is linked.
find_program(PROTOC protoc REQUIRED)
function(heddle_proto_descriptor proto variable out)
  get_filename_component(folder ${proto} DIRECTORY)
  get_filename_component(name ${proto} NAME_WE)
  set(set ${CMAKE_CURRENT_BINARY_DIR}/${name}.desc)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}_descriptor.cpp)
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${PROTOC} --proto_path=${folder} --descriptor_set_out=${set} ${proto}
    COMMAND
      ${CMAKE_COMMAND} -DIN=${set} -DOUT=${source} -DVARIABLE=${variable} -P
      ${CMAKE_SOURCE_DIR}/cmake/bytes_to_cpp.cmake
    DEPENDS ${proto} ${CMAKE_SOURCE_DIR}/cmake/bytes_to_cpp.cmake
    VERBATIM
  )
  set(${out} ${source} PARENT_SCOPE)
endfunction()
