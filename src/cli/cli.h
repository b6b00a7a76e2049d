// The program: from words on a command line to an exit code. main() calls this and nothing else.
#pragma once

namespace holdfast {

int Main(int argc, char** argv);

}  // namespace holdfast
