"""The laboratory of the theory: families of concentrated distributions, learners, studies."""
