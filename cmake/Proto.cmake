# hf_proto: the code protoc makes from proto/*.proto, included as "proto/etcd.pb.h". Generated code gets no warnings of ours.
set(PROTO_OUT ${CMAKE_BINARY_DIR}/generated/proto)
file(MAKE_DIRECTORY ${PROTO_OUT})
set(PROTO_SOURCES ${PROTO_OUT}/etcd.pb.cc ${PROTO_OUT}/etcd.grpc.pb.cc)
add_custom_command(
  OUTPUT ${PROTO_SOURCES} ${PROTO_OUT}/etcd.pb.h ${PROTO_OUT}/etcd.grpc.pb.h
  COMMAND protobuf::protoc --proto_path=${PROJECT_SOURCE_DIR} --cpp_out=${CMAKE_BINARY_DIR}/generated
          --grpc_out=${CMAKE_BINARY_DIR}/generated --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>
          proto/etcd.proto
  DEPENDS ${PROJECT_SOURCE_DIR}/proto/etcd.proto
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
add_library(hf_proto STATIC ${PROTO_SOURCES})
target_include_directories(hf_proto SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/generated)
target_compile_options(hf_proto PRIVATE -w)
target_link_libraries(hf_proto PUBLIC gRPC::grpc++ protobuf::libprotobuf)
