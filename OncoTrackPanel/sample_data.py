"""Registration of OncoTrack's public sample scans in Slicer's Sample Data module."""

import slicer


def register_at_startup(category, icon, scans=2):
    """Register the samples in a category, after Slicer has started; `scans` is 2 for pairs, 1 for the baseline alone."""

    def register():
        from SampleData import SampleDataLogic

        from oncotrack.scene.nodes.sample_data import sources

        for source in sources(category, icon, scans):
            SampleDataLogic.registerCustomSampleDataSource(**source)

    slicer.app.connect("startupCompleted()", register)
