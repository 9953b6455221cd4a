"""Registration of OncoTrack's public sample scans in Slicer's Sample Data module."""

import slicer


def register_at_startup(category, icon, scans=2):
    """Offer the samples under a category of their own, once Slicer has started; `scans` is 1 for the baseline alone."""

    def register():
        from SampleData import SampleDataLogic

        from oncotrack.scene.nodes.sample_data import sources

        for source in sources(category, icon, scans):
            SampleDataLogic.registerCustomSampleDataSource(**source)

    slicer.app.connect("startupCompleted()", register)
