// The live script: opens the stream of each sink in the page and applies its updates with Idiomorph.
